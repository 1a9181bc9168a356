/* Whoever settles late, but before the thread came round, gets its result applied.
 *
 * refutes: a late restore withdraws its deadline
 * finds: asked_late
 */
#define BREAK_LATE_WITHDRAWN
#include "../deadline.pml"
