/* A claim that does not ask whether the owner lives: two writers fill one record.
 *
 * refutes: a slot is taken from a stopped writer that lives
 * finds: phase==1
 */
#define WRITERS 2
#define RAISES 1
#define SWEEPS 0
#define RECORDS 1
#define BREAK_STEAL
#include "../trigger.pml"
