/* A second HALT comes between the look of who clears and the clear: level alone does not tell it from the first.
 *
 * refutes: a clear is conditional on the level alone
 * finds: raised_last<=
 */
#define TRIGGERS 2
#define CLEARS 1
#define MEMBERS 1
#define BREAK_LEVEL_ONLY
#include "../acknowledge.pml"
