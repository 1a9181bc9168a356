/* A reader that trusts its first look at the state accepts the words of two records.
 *
 * refutes: a reader does not look at the state again
 * finds: copy0==at
 */
#define WRITERS 2
#define RAISES 1
#define SWEEPS 0
#define READER
#define POLLS 1
#define RECORDS 1
#define BREAK_NO_SECOND_LOOK
#include "../trigger.pml"
