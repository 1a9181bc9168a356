/* Nobody marks: a record is applied again after a later one.
 *
 * refutes: control is replaced before the record it names is marked
 * finds: applied>>s_tag
 */
#define WRITERS 2
#define RAISES 1
#define SWEEPS 0
#define BREAK_NO_MARK
#include "../trigger.pml"
