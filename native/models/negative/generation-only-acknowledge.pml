/* Acknowledging is a CAS on the generation alone and lowers the flag: the first of two readers hides the HALT from the
 * second, which only comes round to look afterwards.
 *
 * refutes: acknowledge by generation alone
 * finds: saw_halt[self]
 */
#define HALT 4
byte generation;
byte level;
bool saw_halt[2];

active proctype writer() {
  atomic { generation++; level = HALT }
}

proctype reader(byte self) {
  byte seen_generation, seen_level;
  do
  :: atomic { generation != seen_generation -> seen_generation = generation; seen_level = level };
     if
     :: seen_level == HALT -> saw_halt[self] = true
     :: else -> skip
     fi;
     atomic { /* acknowledge */
       if
       :: generation == seen_generation && level != 0 -> level = 0; generation++; seen_generation = generation
       :: else -> skip
       fi
     }
  :: atomic { timeout -> assert(saw_halt[self]); break }
  od
}

init {
  atomic { run reader(0); run reader(1) }
}
