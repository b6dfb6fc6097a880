#include "rootdisk.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "newroot.h"

#define BLOCK "/sys/block"
/** How often and how long the disk is waited for: an emulated guest may need seconds to find it. */
#define LOOKS 1500
#define LOOK_NS 20000000L
#define NAME_SIZE 64

/** The disk's name, "vda". */
static bool find_disk(const char *serial, char name[NAME_SIZE]) {
  DIR *all = opendir(BLOCK);
  if (all == NULL) return false;
  bool found = false;
  for (struct dirent *entry = readdir(all); !found && entry != NULL; entry = readdir(all)) {
    char path[sizeof BLOCK + NAME_SIZE + sizeof "//serial"];
    char text[NAME_SIZE] = "";
    if (entry->d_name[0] == '.' || strlen(entry->d_name) >= NAME_SIZE) continue;
    snprintf(path, sizeof path, BLOCK "/%.63s/serial", entry->d_name);
    FILE *file = fopen(path, "re");
    if (file == NULL) continue;
    if (fgets(text, sizeof text, file) == NULL) text[0] = '\0';
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, serial) != 0) continue;
    snprintf(name, NAME_SIZE, "%.63s", entry->d_name);
    found = true;
  }
  closedir(all);
  return found;
}

static bool wait_for_disk(const char *serial, char name[NAME_SIZE]) {
  const struct timespec pause = {0, LOOK_NS};
  for (int i = 0; i < LOOKS; i++) {
    if (find_disk(serial, name)) return true;
    nanosleep(&pause, NULL);
  }
  return false;
}

/** Mounts a block device with whatever file system of the kernel fits. */
static bool mount_any(const char *device) {
  char line[128];
  bool mounted = false;
  FILE *known = fopen("/proc/filesystems", "re");
  if (known == NULL) return false;
  while (!mounted && fgets(line, sizeof line, known) != NULL) {
    if (line[0] != '\t') continue;
    line[strcspn(line, "\n")] = '\0';
    mounted = mount(device, NEWROOT, line + 1, 0, NULL) == 0;
  }
  fclose(known);
  return mounted;
}

static bool holds_init(void) {
  static const char *const inits[] = {NEWROOT "/sbin/init", NEWROOT "/usr/sbin/init", NEWROOT "/lib/systemd/systemd",
                                      NEWROOT "/etc/init", NEWROOT "/bin/init"};
  struct stat facts;
  /* Not stat: a link such as /sbin/init -> /lib/systemd/systemd leads out of a root that is not ours yet. */
  for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
    if (lstat(inits[i], &facts) == 0) return true;
  }
  return false;
}

/** True when the device holds a root file system, which is then mounted. */
static bool try_device(const char *name) {
  char device[sizeof "/dev/" + NAME_SIZE];
  snprintf(device, sizeof device, "/dev/%.63s", name);
  if (!mount_any(device)) return false;
  if (holds_init()) return true;
  umount2(NEWROOT, MNT_DETACH);
  return false;
}

static bool try_partitions(const char *disk) {
  char path[sizeof BLOCK + NAME_SIZE + 1];
  bool found = false;
  snprintf(path, sizeof path, BLOCK "/%.63s", disk);
  /* In the order of their numbers, whatever order the directory has: there are no more than 128 in a GPT. */
  for (int number = 1; !found && number <= 128; number++) {
    char name[NAME_SIZE + 8];
    char entry[sizeof path + sizeof name + 1];
    snprintf(name, sizeof name, "%.50s%d", disk, number);
    snprintf(entry, sizeof entry, "%s/%s", path, name);
    found = access(entry, F_OK) == 0 && try_device(name);
  }
  return found;
}

int rootdisk_mount(const char *serial) {
  char disk[NAME_SIZE];
  if (!wait_for_disk(serial, disk)) {
    fprintf(stderr, "provium: the disk of the profile has not appeared: has the kernel virtio_blk?\n");
    return -1;
  }
  mkdir("/provium", 0755);
  mkdir(NEWROOT, 0755);
  if (!try_device(disk) && !try_partitions(disk)) {
    fprintf(stderr, "provium: neither the disk of the profile nor one of its partitions holds a root file system "
                    "that this kernel can mount\n");
    return -1;
  }
  return 0;
}
