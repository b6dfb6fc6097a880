#ifndef PROVIUM_ORPHANS_H
#define PROVIUM_ORPHANS_H

/**
 * What the commands of an agent on the host leave behind: whoever outlives its parent becomes a child of the
 * agent instead of the host's init, so that the agent can end it when it ends itself. A guest needs none of this.
 */
void orphans_adopt(void);

/** Kills every child that is left, and theirs, until there is none that ends. `proc_fd`: a descriptor of /proc. */
void orphans_end(int proc_fd);

#endif
