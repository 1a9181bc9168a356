/* A seqlock: odd while it is written, the reader tries again. A writer that is killed at the odd state leaves a reader
 * who never ends, although everybody else is given time to move: a cycle without progress under weak fairness.
 *
 * refutes: a seqlock, where the writer may die
 * finds: non-progress cycle
 * search: fair
 */
byte sequence;
byte first;
byte second;
bool written; /* ghost */

active proctype writer() {
  if
  :: sequence++;
     first = 1;
     if
     :: second = 1; sequence++
     :: skip /* killed */
     fi
  :: skip
  fi;
  written = true
}

active proctype reader() {
  byte before, a, b;
  do
  :: before = sequence;
     if
     :: before & 1 -> skip
     :: else ->
        a = first;
        b = second;
        if
        :: sequence == before -> assert(a == b); break
        :: else -> skip
        fi
     fi
  od
}
