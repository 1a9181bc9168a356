/*
 * deadline against restore (native/core/watcher.cc; src/signals/rollback-signal.ts, src/tolaria/rollback.ts).
 *
 * proves: a restore not settled by its deadline sets the flag though the loop hangs; a late result is discarded
 *
 * The trainer raises the request, arms the deadline on its native thread, restores (which may never end, or end at
 * any time), and settles. The thread sleeps on a futex until the next deadline, and where none is armed for some time
 * or for ever. Some other process may clear the request. The trainer's process may be killed between any two steps,
 * thread and all. The clock ticks any time, until after the deadline.
 */
#define TRAINER 0
#define PEOPLE 1
#define mortal true
#define stoppable false
#include "world.inc"

#define DEADLINE 2
#define LAST 4
#define REQUESTED 1
#define EXPIRED 2

byte now;
byte level;
byte generation;
bool armed;          /* a deadline in the table, under its mutex */
byte wake_word;      /* raised by kick() */
byte awake_at;       /* when the thread looks again at the latest: whoever arms something later need not kick */
bool asleep;         /* the thread is in futex_wait */
bool due;            /* taken from the table, not triggered yet */
bool has_arm;        /* ghosts: armed once; fired; settled in time; applied to the live model */
bool fired;
bool settled;
bool used;

#define NEVER 255
#define set_flag(l) generation++; level = (level > l -> level : l)

/* Watcher::kick: the word first, then whoever sleeps on it. */
inline kick() {
  step(wake_word++);
  step(asleep = false)
}

proctype trainer(byte self) {
  byte mine;
  bool in_time, asked_late;
#ifdef BREAK_ARM_LATE
  goto restore;
#endif
request:
  step(set_flag(REQUESTED); mine = generation);
  step(armed = true; has_arm = true);
  if
  :: atomic { DEADLINE < awake_at -> skip }; kick()
  :: atomic { DEADLINE >= awake_at -> reached(9, "no kick: the thread will look in time", true) }
  or_its_end
  fi;
restore:
  if
  :: true -> skip
  :: atomic { true -> reached(1, "a restore hangs", true); fate[self] = STOPPED; goto dead } /* the loop is blocked */
  or_its_end
  fi;
#ifdef BREAK_ARM_LATE
  if
  :: !has_arm -> goto request
  :: else -> skip
  fi;
#endif
  /* Watcher::disarm, under the mutex: past its time it is not withdrawn. */
#ifndef BREAK_LATE_WITHDRAWN
  step(in_time = armed && now < DEADLINE; armed = armed && !in_time; asked_late = now >= DEADLINE);
#else
  step(in_time = armed; armed = false; asked_late = now >= DEADLINE);
#endif
  if
  :: in_time ->
     step(
       settled = true;
       assert(!fired && !due && !asked_late);
       if /* the clear, conditional on generation and level */
       :: generation == mine && level == REQUESTED -> generation++; level = 0
       :: else -> reached(2, "settled after somebody else had cleared", true)
       fi);
     step(assert(!fired); used = true)
  :: !in_time -> reached(3, "a late result is discarded", true)
  fi;
  atomic { fate[self] = OVER };
dead:
  atomic { mine = 0; in_time = false; asked_late = false }
}

#define thread_lives (fate[TRAINER] != DEAD)

/* Watcher::run. It dies with the process; a stopped loop does not stop it. */
proctype thread() {
  byte seen, wakes_at;
  bool take;
  do
  :: atomic { thread_lives -> /* fire_due, under the mutex */
       take = armed && now >= DEADLINE;
       if
       :: take -> armed = false; due = true
       :: else -> skip
       fi
     };
     if
     :: take ->
        atomic { thread_lives -> set_flag(EXPIRED); fired = true; due = false; take = false; assert(!settled) }
     :: !take ->
        atomic { thread_lives -> /* plan_sleep, under the mutex */
          if
          :: wakes_at = now + 1
          :: wakes_at = NEVER
          fi;
#ifndef BREAK_PLAN_UNSEEN
          wakes_at = (armed && DEADLINE < wakes_at -> DEADLINE : wakes_at);
#endif
          awake_at = wakes_at
        };
#ifdef BREAK_SEEN_LATE
        atomic { thread_lives -> seen = wake_word };
#endif
        atomic { thread_lives -> /* futex_wait: not if the word has changed, nor if its time is past */
          asleep = wake_word == seen && now < wakes_at;
          reached(4, "a kick comes between the look and the sleep", wake_word != seen)
        };
        if
        :: !asleep -> skip
        :: atomic { asleep && now >= wakes_at -> asleep = false }
        :: atomic { !thread_lives -> asleep = false }
        fi;
#ifndef BREAK_SEEN_LATE
        atomic { seen = wake_word };
#endif
        wakes_at = 0
     fi
  :: !thread_lives -> break
  od
}

/* Clears what it sees, at any time, or not at all. */
proctype somebody() {
  byte saw;
  if
  :: atomic { level != 0 -> saw = generation };
     atomic {
       if
       :: generation == saw -> level = 0; generation++
       :: else -> reached(5, "a clear from outside loses against the deadline", fired)
       fi
     }
  :: true -> skip
  fi
}

proctype clock() {
  do
  :: now < LAST -> now++
  :: now == LAST -> break
  od
}

/* All is quiet: the thread waits for ever, and the clock is past the deadline. */
active proctype at_the_end() {
  timeout ->
  atomic {
    assert(now == LAST);
    assert(fate[TRAINER] != RUNNING);
    assert(!due || fate[TRAINER] == DEAD);
    assert(!(has_arm && thread_lives) || fired != settled); /* expired or settled, and never both */
    assert(!used || settled);                                /* never a late result */
#ifdef BREAK_ARM_LATE
    assert(fate[TRAINER] != STOPPED || fired);
#endif
    assert(fate[TRAINER] != STOPPED || !has_arm || fired);
    reached(6, "the flag is set while the restore hangs", fate[TRAINER] == STOPPED && fired && level == EXPIRED);
    reached(7, "a restore ends in time", used);
    reached(8, "a trainer is killed with its deadline armed", fate[TRAINER] == DEAD && armed && level != 0)
  }
}

init {
  atomic {
    run trainer(TRAINER);
    run thread();
    run somebody();
    run clock()
  }
}
