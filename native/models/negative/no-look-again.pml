/* Who finds the owner of a claimed record dead does not look at the record again: the owner completed it in between,
 * and it is passed over as a hole. (The first form of the code did this.)
 *
 * refutes: a claim is called a hole without a second look
 * finds: completed>>at
 */
#define WRITERS 2
#define RAISES 1
#define SWEEPS 0
#define READER
#define POLLS 1
#define RECORDS 1
#define BREAK_NO_LOOK_AGAIN
#include "../trigger.pml"
