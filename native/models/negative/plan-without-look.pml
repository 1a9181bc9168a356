/* The thread plans its sleep without a look at what was armed since: whoever armed saw a time to wake that was good
 * enough and did not kick.
 *
 * refutes: the sleep is planned without a look at the deadlines
 * finds: fired!=settled
 */
#define BREAK_PLAN_UNSEEN
#include "../deadline.pml"
