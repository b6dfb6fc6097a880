#include "userns.h"

#include <sched.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "write_file.h"

/** Maps us to root of a fresh user namespace: user_namespaces(7). */
static bool become_root(uid_t uid, gid_t gid) {
  char map[64];
  if (!write_file("/proc/self/setgroups", "deny")) return false;
  snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
  if (!write_file("/proc/self/uid_map", map)) return false;
  snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
  return write_file("/proc/self/gid_map", map);
}

bool userns_unshare(int flags) {
  uid_t uid = geteuid();
  gid_t gid = getegid();
  return unshare(flags) == 0 || (unshare(CLONE_NEWUSER | flags) == 0 && become_root(uid, gid));
}
