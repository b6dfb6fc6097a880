#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/* The kernel allows 65,536; nobody is in so many. */
enum { GROUPS = 256 };

/** A number up to (uid_t)-2, since -1 means "as it is" to the calls below. Moves `at` behind it. */
static bool number(const char **at, unsigned int *value) {
  if (**at < '0' || **at > '9') return false;
  char *end = NULL;
  errno = 0;
  unsigned long read = strtoul(*at, &end, 10);
  if (errno != 0 || read >= UINT_MAX) return false;
  *at = end;
  *value = (unsigned int)read;
  return true;
}

bool identity_take(const char *text) {
  uid_t user = 0;
  gid_t groups[GROUPS];
  size_t count = 0;
  const char *at = text;
  errno = EINVAL;
  if (!number(&at, &user) || *at != ':') {
    errno = EINVAL;
    return false;
  }
  do {
    at++;
    if (count == GROUPS || !number(&at, &groups[count++])) {
      errno = EINVAL;
      return false;
    }
  } while (*at == ',');
  if (*at != '\0') {
    errno = EINVAL;
    return false;
  }
  /* In this order: without root the groups could not be changed any more. */
  return setgroups(count, groups) == 0 && setresgid(groups[0], groups[0], groups[0]) == 0 &&
         setresuid(user, user, user) == 0;
}
