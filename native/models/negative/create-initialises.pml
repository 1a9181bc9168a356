/* An opener that finds the segment there makes it anew, as if it had created it: a HALT that somebody raised is wiped.
 *
 * refutes: create() initialises a segment that is there
 * finds: raised[mine]==must_be[mine]
 */
#define OPENERS 2
#define BREAK_INITIALISE
#include "../create.pml"
