#include "parking.h"

#include <errno.h>

#include "messages.h"

void park(struct session *session, const struct frame_head *head) {
  if (session->parked || session->park_request >= 0) {
    session_refuse(session, head->actor, head->request_id, EBUSY, "PARK", "the session is parked already");
    return;
  }
  session->park_request = head->request_id;
  session->held = 0;
}

bool park_answer(struct session *session) {
  struct park_reply reply = {.token = session->id};
  size_t start = frame_begin(&session->out, MESSAGE_OK, ACTOR_IO, session->park_request);
  message_encode(&park_reply_shape, &reply, &session->out);
  frame_end(&session->out, start, 0);
  session->park_request = -1;
  session->parked = true;
  return !session->out.failed;
}

static struct session *find_parked(struct session *asking, int64_t token) {
  if (token == 0 || token == asking->id) return asking->parked || asking->park_request >= 0 ? asking : NULL;
  struct session *session = asking->agent->sessions;
  while (session != NULL && (session->id != token || !session->parked)) session = session->next;
  return session;
}

void resume(struct session *session, const struct frame_head *head, const struct resume_fields *request) {
  struct session *parked = find_parked(session, request->token);
  if (parked == NULL) {
    session_refuse(session, head->actor, head->request_id, 0, "RESUME", "no parked session has token %lld",
                   (long long)request->token);
    return;
  }
  if (parked != session && parked->watch.fd >= 0) {
    session_refuse(session, head->actor, head->request_id, EBUSY, "RESUME", "the parked session still has its connection");
    return;
  }
  if (parked != session && !session_adopt(parked, session)) {
    session_refuse(session, head->actor, head->request_id, errno, "RESUME", "the connection cannot be taken over");
    return;
  }
  if (parked->park_request >= 0) {
    session_refuse(parked, ACTOR_IO, parked->park_request, ECANCELED, "PARK", "canceled");
    parked->park_request = -1;
  }
  parked->parked = false;
  session_push(parked, MESSAGE_OK, head->actor, head->request_id, &(struct shape){0}, NULL);
}
