/* Two who replace a stale segment and take no lock: the slower one removes what the faster one created.
 *
 * refutes: a stale segment is replaced without the lock
 * finds: name==mine
 */
#define OPENERS 2
#define STALE
#define BREAK_NO_LOCK
#include "../create.pml"
