/*
 * trigger, read, sweep (native/core/ring.h, ring.cc, cursor.cc; decisions 0001-0003).
 *
 * proves: no level is lost or applied twice, no torn record read, whoever dies or stops anywhere
 *
 * WRITERS raise RAISES emergencies each in a ring of RECORDS; each may be killed or stopped for ever between any two
 * steps. A watcher sweeps at its re-checks, as often as SWEEPS and once when all is quiet; with READER a consumer polls
 * its cursor as often as POLLS and once at the end. The reader trusts no checksum: its second look has to do.
 */
#ifndef RECORDS
#define RECORDS 2
#endif
#define TICKETS 14
#define WATCHER WRITERS
#define READING (WRITERS + 1)
#define PEOPLE (WRITERS + 2)
#define mortal (self < WRITERS)
#include "world.inc"
#include "ring.inc"

#define level_of(who) (who == 1 -> 4 : (who == 0 -> 2 : 3))
byte recordless; /* raised without a record: how many */
bool watched;    /* the watcher, and the reader, came to their end */
bool polled;

#define load_state(t) s_phase = slot_of(t).phase; s_tag = slot_of(t).tag; s_extra = slot_of(t).extra
#define SLOT_LOCALS byte s_phase, s_tag, s_extra; bool s_held, s_dead
#define FORGET_SLOT s_phase = 0; s_tag = 0; s_extra = 0; s_held = false; s_dead = false

/* For a claim, whether the owner lives in the same step: whoever is found dead later, in a state that the CAS finds
   unchanged, may as well be found dead here, and whoever lives later lives here. */
#define look_at_slot(t) load_state(t); s_held = s_phase == CLAIMED && living(s_extra)

/* Ring::look: state, owner, state again, in three steps. Who completes its record and dies in between left no hole. */
inline look(t) {
  atomic { load_state(t) };
  if
  :: s_phase == CLAIMED && s_tag == t ->
     atomic { s_dead = !living(s_extra) };
#ifndef BREAK_NO_LOOK_AGAIN
     if
     :: atomic { s_dead -> s_dead = slot_of(t).phase == CLAIMED && slot_of(t).tag == t; load_state(t) }
     :: !s_dead -> skip
     fi
#endif
  :: else -> skip
  fi
}

#ifndef BREAK_STEAL
#define taken(t) (s_phase != EMPTY && s_tag > t || s_held)
#else
#define taken(t) (s_phase != EMPTY && s_tag > t)
#endif

/* Ring::try_claim of `ticket`, its first load done. */
inline try_claim() {
  do
  :: taken(ticket) -> break
  :: !taken(ticket) ->
     assert(s_phase == EMPTY || s_tag != ticket);
     if
     :: s_phase == COMPLETE ->
        apply(s_tag);
        step(outcome = 0; look_at_slot(ticket))
     :: s_phase != COMPLETE ->
        step(/* CAS older -> claimed */
          if
          :: slot_of(ticket).phase == s_phase && slot_of(ticket).tag == s_tag ->
             reached(1, "a slot is taken over from the dead", s_phase == CLAIMED);
             slot_of(ticket).phase = CLAIMED;
             slot_of(ticket).tag = ticket;
             slot_of(ticket).extra = self;
             claimed = true;
             break
          :: else -> look_at_slot(ticket)
          fi)
     fi;
     moves++;
     assert(moves <= 4) /* ring.cc allows 8 and says four */
  od;
  atomic { FORGET_SLOT; moves = 0 }
}

inline claim() {
  do
  :: !claimed && attempt < RECORDS ->
     step(ticket = next_ticket; next_ticket++; attempt++; assert(ticket < TICKETS));
     step(look_at_slot(ticket));
     try_claim()
  :: claimed || attempt == RECORDS -> attempt = 0; break
  od
}

inline raise_without_record() {
  step(next_ticket++);
  step(now_g = generation; now_l = level; now_t = named);
  do
  :: step(mark(now_g, now_t));
     step(if
       :: generation == now_g ->
          generation++;
          level = (level > level_of(self) -> level : level_of(self));
          recordless++;
          FORGET;
          break
       :: else -> now_g = generation; now_l = level; now_t = named
       fi)
  od
}

proctype writer(byte self) {
  byte ticket, raises, attempt, moves;
  bool claimed;
  SLOT_LOCALS;
  APPLY_LOCALS;
  do
  :: raises < RAISES ->
     claim();
     if
     :: claimed ->
        step(slot_of(ticket).word[0] = ticket; claimed = false);
        step(slot_of(ticket).word[1] = ticket * 8 + level_of(self));
        step(/* CAS claimed -> complete; it fails only where a living writer was taken for dead */
          assert(slot_of(ticket).phase == CLAIMED && slot_of(ticket).tag == ticket);
          slot_of(ticket).phase = COMPLETE;
          add(completed, ticket));
        apply(ticket);
        atomic { assert(has(applied, ticket)); outcome = 0 }
     :: else -> raise_without_record()
     fi;
     atomic { assert(level >= level_of(self)); ticket = 0; raises++ }
  :: raises == RAISES -> break
  od;
  atomic { fate[self] = OVER };
dead:
  atomic { ticket = 0; raises = 0; attempt = 0; moves = 0; claimed = false; outcome = 0; FORGET; FORGET_SLOT }
}

#define quiet (at_rest(0) && at_rest(1) && (WRITERS < 3 || at_rest(WRITERS - 1)))

/* Ring::sweep, with the caller's own `settled`. */
inline sweep() {
  atomic {
    upto = next_ticket;
    gapless = true;
    at = (upto - settled > RECORDS -> upto - RECORDS : settled)
  };
  do
  :: at < upto ->
     look(at);
     atomic {
       done = s_phase != EMPTY && s_tag > at;
       if
       :: s_phase != EMPTY && s_tag == at -> done = s_phase != CLAIMED || s_dead
       :: else -> skip
       fi
     };
     if
     :: s_phase == COMPLETE && s_tag <= at -> apply(s_tag); repaired = repaired || outcome == HERE; outcome = 0
     :: else -> skip
     fi;
     atomic {
       gapless = gapless && done;
       if
       :: gapless -> settled = at + 1
       :: else -> skip
       fi;
       at++;
       FORGET_SLOT;
       done = false
     }
  :: at >= upto -> at = 0; upto = 0; gapless = false; break
  od
}

/* Between two looks nothing has gone down: there is no clear in this model. */
#define look_at_level \
  assert(level >= saw_level && generation >= saw_generation); \
  saw_level = level; saw_generation = generation

proctype watcher(byte self) {
  byte settled, upto, at, sweeps, saw_generation, saw_level;
  bool gapless, done, repaired;
  SLOT_LOCALS;
  APPLY_LOCALS;
  do
  :: atomic { sweeps < SWEEPS -> sweeps++; look_at_level }; sweep()
  :: quiet -> break
  od;
  atomic { look_at_level; saw_level = 0; saw_generation = 0 };
#ifndef BREAK_NO_SWEEP
  sweep();
#endif
  atomic {
    /* Nothing is lost: what was completed is applied, what was not is not, and the level says so. */
    assert(applied == completed);
#ifndef BREAK_NO_SWEEP
    do
    :: at < RECORDS -> assert(record[at].phase != COMPLETE); at++
    :: at == RECORDS -> at = 0; break
    od;
#endif
    do
    :: at < WRITERS -> assert(fate[at] != OVER || level >= level_of(at)); at++
    :: at == WRITERS -> break
    od;
#if WRITERS > RECORDS
    reached(2, "every slot held by the stopped, level raised without a record", recordless > 0);
#endif
    reached(3, "a dead writer's record is applied by the watcher", repaired);
    reached(4, "a second lap of the ring", next_ticket > RECORDS && completed > 3);
    reached(5, "the dead writer's level stands", fate[0] == DEAD && fate[1] == STOPPED && applied != 0);
    watched = true
  };
dead: skip
}

#ifdef READER
#include "reader.inc"
#endif

/* When nobody can move any more, nobody may be waiting for anything. */
active proctype at_the_end() {
  timeout ->
  assert(quiet && watched);
#ifdef READER
  assert(polled)
#endif
}

init {
  atomic {
    run writer(0);
    run writer(1);
#if WRITERS > 2
    run writer(2);
#endif
    run watcher(WATCHER);
#ifdef READER
    run reader(READING)
#endif
  }
}
