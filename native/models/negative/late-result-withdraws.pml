/* Whoever settles late, but before the thread came round, gets its result applied.
 *
 * refutes: a late restore withdraws its deadline
 */
#define BREAK_LATE_WITHDRAWN
#include "../deadline.pml"
