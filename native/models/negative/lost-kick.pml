/* The thread reads its futex word after it has looked at the deadlines: a kick in between is lost, and
 * it sleeps for ever.
 *
 * refutes: the futex word is read after the look
 * finds: fired!=settled
 */
#define BREAK_SEEN_LATE
#include "../deadline.pml"
