/* A removal that takes no lock, between the stat and the unlink of one who replaces a stale segment: it lets that one
 * remove the segment of whoever came next. Region::unlink takes it.
 *
 * refutes: a name is removed while a stale segment is replaced
 * finds: name==mine
 */
#define OPENERS 2
#define STALE
#define REMOVALS 1
#include "../create.pml"
