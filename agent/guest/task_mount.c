#include <errno.h>
#include <string.h>

#include "messages.h"
#include "pseudofs.h"
#include "task.h"

bool task_mount_vfs(struct task *task, struct bytes payload) {
  static const struct pseudofs *const all[] = {&pseudofs_proc, &pseudofs_sys, &pseudofs_dev, &pseudofs_security};
  uint8_t memory[256];
  struct buffer names;
  uint32_t count = 0;
  (void)payload;
  buffer_over(&names, memory, sizeof memory);
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    enum mounted result = pseudofs_mount(all[i]);
    /* A kernel without securityfs has nothing to mount there. */
    if (result == MOUNT_FAILED && all[i] == &pseudofs_security && (errno == ENODEV || errno == ENOENT)) continue;
    if (result == MOUNT_FAILED) {
      return task_error(task, errno, "mount", "cannot mount %s on %s: %s", all[i]->type, all[i]->path, strerror(errno));
    }
    if (result != MOUNT_DONE) continue;
    msgpack_write_bytes(&names, all[i]->type, strlen(all[i]->type));
    count++;
  }
  struct mount_vfs_reply reply = {
      .mounted = {.data = buffer_begin(&names), .size = buffer_length(&names), .count = count, .present = true}};
  return task_ok(task, &mount_vfs_reply_shape, &reply);
}
