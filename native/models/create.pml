/*
 * create, attach, replace a stale segment, remove (native/core/region_builder.cc, region.cc; decision 0001).
 *
 * proves: nobody maps a half-built or stale segment or wipes a live one, all openers end in one segment
 *
 * OPENERS open one name, may raise a level in what they got, and at a re-check open again if the name leads elsewhere;
 * each may be killed between any two steps. STALE: the name begins with a segment of an earlier boot. REMOVALS: how
 * often the name is removed meanwhile. FOREIGN: another program builds in place and may die of it. An inode stands for
 * its segment; waiting ends at a deadline, which may come at any time.
 *
 * A removal between a replacer's stat and its unlink lets the replacer remove its successor's segment: STALE together
 * with REMOVALS fails, unless removals take the replacers' lock (REMOVAL_LOCKS). See docs/models.md.
 */
#ifndef REMOVALS
#define REMOVALS 0
#endif
#define STRANGER OPENERS
#define OPERATOR (OPENERS + 1)
#define PEOPLE (OPENERS + 2)
#define mortal true
#define stoppable false
#include "world.inc"

#define NOTHING 0
#define INODES (2 * OPENERS + REMOVALS + 5)
byte name;             /* the inode that the name leads to */
byte inodes = 1;       /* numbers given out, 0 among them */
bool whole[INODES];    /* header, control word and ready are there */
bool stale[INODES];
bool linked[INODES];   /* ghost: has been visible */
bool raised[INODES];   /* the level in it */
bool must_be[INODES];  /* ghost: somebody raised it */
byte lock[INODES];     /* flock: its holder, plus one */
byte opened[OPENERS];  /* ghost: where each ended */

/* The kernel drops the lock of the dead. */
#define held(i) (lock[i] != 0 && living(lock[i] - 1))
#define lock_unless_broken(i) !held(i); lock[i] = self + 1
#ifdef BREAK_NO_LOCK
#undef lock_unless_broken
#define lock_unless_broken(i) skip
#endif

/* Under the lock of the file it looked at: remove the name if it still leads there. */
inline remove_if_same(i) {
  step(lock_unless_broken(i));
  step(same = name == i); /* stat */
  if
  :: same -> step(
       assert(name == NOTHING || name == i); /* never what came after it */
       name = NOTHING)
  :: !same -> skip
  fi;
  atomic { reached(1, "somebody else had replaced the stale one", !same && stale[i]); lock[i] = 0; same = false }
}

inline create_region() {
  step(fresh = inodes; inodes++; assert(fresh < INODES)); /* O_TMPFILE: nobody sees it */
  step(assert(!linked[fresh]); whole[fresh] = true);
  step( /* linkat */
    if
    :: name == NOTHING -> name = fresh; linked[fresh] = true; mine = fresh
    :: name != NOTHING -> reached(2, "somebody was first: attach", true)
    fi;
    fresh = NOTHING)
}

/* RegionBuilder::open. `mine` is the inode, or NOTHING with gave_up where it ends with an error that has a name. */
inline open_region() {
  do
  :: mine == NOTHING && !gave_up ->
     rounds++;
     assert(rounds <= 3 + REMOVALS + OPENERS); /* of 16: a round without an end met somebody's progress */
     step(mine = name); /* open(2): a descriptor or ENOENT */
     if
     :: mine == NOTHING -> create_region()
     :: mine != NOTHING ->
#ifdef BREAK_INITIALISE
        step(raised[mine] = false);
#endif
        if
        :: atomic { whole[mine] -> skip }
        :: atomic { !whole[mine] ->
             reached(3, "the wait for a foreign creator ends at its deadline", !living(STRANGER));
             gave_up = true;
             mine = NOTHING
           }
        or_its_end
        fi;
        if
        :: mine != NOTHING && stale[mine] -> remove_if_same(mine); mine = NOTHING
        :: else -> skip
        fi
     fi
  :: mine != NOTHING || gave_up -> rounds = 0; break
  od
}

proctype opener(byte self) {
  byte mine, fresh, rounds;
  bool same, gave_up;
  do
  :: open_region();
     step(
       assert(mine == NOTHING || (whole[mine] && linked[mine] && !stale[mine]));
       assert(raised[mine] == must_be[mine]);
       if
       :: mine != NOTHING -> raised[mine] = true; must_be[mine] = true
       :: true -> skip
       fi);
     /* FlagHandle.followName: at a re-check when those who remove have done it. */
     if
     :: atomic { at_rest(OPERATOR) && (name == mine || gave_up) -> break }
     :: atomic { at_rest(OPERATOR) && name != mine && !gave_up ->
          reached(4, "the name leads elsewhere: followed", true);
          mine = NOTHING
        }
     or_its_end
     fi
  od;
  atomic { assert(raised[mine] == must_be[mine]); fate[self] = OVER; opened[self] = mine };
dead:
  atomic { mine = 0; fresh = 0; rounds = 0; same = false; gave_up = false }
}

proctype operator(byte self) {
  byte mine, removals;
  bool same;
  do
  :: removals < REMOVALS ->
#ifdef REMOVAL_LOCKS
     step(mine = name);
     if
     :: mine != NOTHING -> remove_if_same(mine); mine = NOTHING
     :: mine == NOTHING -> skip
     fi;
#else
     step(reached(5, "a live segment is removed", name != NOTHING && raised[name]); name = NOTHING);
#endif
     removals++
  :: removals == REMOVALS -> break
  od;
  atomic { fate[self] = OVER };
dead:
  atomic { mine = 0; removals = 0; same = false }
}

/* Creates by O_CREAT|O_EXCL and fills what others can see. */
proctype stranger(byte self) {
  byte mine;
#ifdef FOREIGN
  step(
    if
    :: name == NOTHING -> mine = inodes; inodes++; linked[mine] = true; name = mine
    :: name != NOTHING -> skip
    fi);
  if
  :: mine != NOTHING -> step(whole[mine] = true)
  :: mine == NOTHING -> skip
  fi;
#endif
  atomic { fate[self] = OVER };
dead:
  mine = 0
}

active proctype at_the_end() {
  byte who, where;
  timeout ->
  atomic {
    do
    :: who < PEOPLE -> assert(at_rest(who)); who++
    :: who == PEOPLE -> who = 0; break
    od;
    do /* one segment for all, and the name leads there */
    :: who < OPENERS -> assert(fate[who] != OVER || opened[who] == NOTHING || opened[who] == name); who++
    :: who == OPENERS -> break
    od;
    reached(6, "openers end in one segment", name != NOTHING && opened[0] == name && opened[1] == name)
  }
}

init {
  atomic {
#ifdef STALE
    name = inodes; inodes++; whole[name] = true; linked[name] = true; stale[name] = true;
#endif
    run operator(OPERATOR);
    run stranger(STRANGER);
    run opener(0);
    run opener(1);
#if OPENERS > 2
    run opener(2)
#endif
  }
}
