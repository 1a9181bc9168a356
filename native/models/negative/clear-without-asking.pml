/* A clear that asks no member lowers what one of them never saw.
 *
 * refutes: a clear does not ask who has seen
 * finds: knows[
 */
#define TRIGGERS 1
#define CLEARS 1
#define BREAK_NOT_ASKED
#include "../acknowledge.pml"
