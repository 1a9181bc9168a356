/* The hint is taken after the look: a sender that found the queue full in between is not heard.
 *
 * refutes: a watcher looks before it takes the hint
 * finds: looked==generation
 */
#define SENDERS 2
#define NO_RECHECK
#define IMMORTAL
#define BREAK_LOOK_FIRST
#include "../wake.pml"
