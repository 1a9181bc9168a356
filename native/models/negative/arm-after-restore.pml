/* A restore that hangs is never told of.
 *
 * refutes: the deadline is armed after the restore
 * finds: fired
 */
#define BREAK_ARM_LATE
#include "../deadline.pml"
