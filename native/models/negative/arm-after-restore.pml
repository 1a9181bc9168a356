/* A restore that hangs is never told of.
 *
 * refutes: the deadline is armed after the restore
 */
#define BREAK_ARM_LATE
#include "../deadline.pml"
