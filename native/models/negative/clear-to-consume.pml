/* The reader clears the flag to say that it has read it: what was raised between its read and its clear is lost.
 *
 * refutes: a reader clears the flag to consume it
 * finds: heard==4
 */
byte flag;
byte heard; /* ghost */

proctype writer(byte level) {
  flag = (flag > level -> flag : level)
}

active proctype reader() {
  byte saw;
end:
  do
  :: atomic { flag != 0 -> saw = flag };
     heard = (saw > heard -> saw : heard);
     flag = 0 /* read and clear are two steps */
  od
}

active proctype at_the_end() {
  timeout -> assert(heard == 4) /* the HALT */
}

init {
  atomic { run writer(2); run writer(4) }
}
