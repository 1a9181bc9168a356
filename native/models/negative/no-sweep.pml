/* No sweep: the level of a writer that died between completing its record and applying it is lost.
 *
 * refutes: nobody applies what a dead writer completed
 * finds: applied==completed
 */
#define WRITERS 2
#define RAISES 1
#define SWEEPS 0
#define BREAK_NO_SWEEP
#include "../trigger.pml"
