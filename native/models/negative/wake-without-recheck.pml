/* Nobody looks again: a sender that dies between raising the generation and its hint leaves a watcher asleep for ever.
 *
 * refutes: a wake without a re-check, where the sender may die
 * finds: looked==generation
 */
#define SENDERS 2
#define NO_RECHECK
#include "../wake.pml"
