/*
 * acknowledge, clear, cursors (native/core/flag.cc, ring.cc, cursor.cc; decisions 0002, 0003).
 *
 * proves: a clear lowers only what its caller saw and every live member has seen; everybody reads every emergency
 *
 * TRIGGERS emergencies, CLEARS clears and MEMBERS members, each with a cursor and a slot; any of them may be killed or
 * stopped for ever between any two steps. Members help: what they find complete, they apply. A clear asks the members;
 * the last FORCED ones do not. RAISED: the story begins with the first emergency raised and applied. The ring is as
 * long as the story (overruns are in trigger.pml), and a record is claimed and filled in the step that completes it:
 * before that nobody sees it.
 */
#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef FORCED
#define FORCED 0
#endif
#define FIRST_CLEAR TRIGGERS
#define FIRST_MEMBER (TRIGGERS + CLEARS)
#define PEOPLE (FIRST_MEMBER + MEMBERS)
#define RECORDS (TRIGGERS + CLEARS)
#define mortal true
#define stoppable (self >= FIRST_MEMBER)
#include "world.inc"

/* word[0] of a record: of a clear, the generation it may lower, and 16 if it may without asking. */
#define IS_CLEAR 8
#define next_level (kinds & IS_CLEAR -> 0 : (now_l > (kinds & 7) -> now_l : (kinds & 7)))
#define cleared_generation(t) (slot_of(t).word[0] & 15)
#ifndef BREAK_LEVEL_ONLY
#define superseded(t) ((kinds & IS_CLEAR) && (now_g != cleared_generation(t) || now_l != (kinds & 7)))
#else
#define superseded(t) ((kinds & IS_CLEAR) && now_l != (kinds & 7))
#endif
#define WITH_CLEARS

byte slot_seen[MEMBERS]; /* of the participant's slot: seen_generation */
byte knows[MEMBERS];     /* ghost: the last generation that this member looked at */
byte raised_last;        /* ghost: generation of the last trigger */
#define member_knows(m, t) \
  (m >= MEMBERS || fate[FIRST_MEMBER + m] == DEAD || knows[(m) % MEMBERS] >= cleared_generation(t))

#define on_applied(t) \
  if \
  :: kinds & IS_CLEAR -> \
     assert(raised_last <= cleared_generation(t)); /* a trigger that races a clear wins */ \
     assert((slot_of(t).word[0] & 16) || (member_knows(0, t) && member_knows(1, t))); \
     reached(1, "somebody else applies a dead process's clear", fate[slot_of(t).extra] == DEAD); \
     reached(2, "a forced clear lowers what a member never saw", !member_knows(0, t)) \
  :: else -> raised_last = generation + 1 \
  fi
#include "ring.inc"

/* The first four steps of Ring::write. */
inline write(w0, w1) {
  step(ticket = next_ticket; next_ticket++);
  step(
    slot_of(ticket).word[0] = w0;
    slot_of(ticket).word[1] = w1;
    slot_of(ticket).extra = self;
    slot_of(ticket).tag = ticket;
    slot_of(ticket).phase = COMPLETE;
    add(completed, ticket))
}

proctype trigger(byte self) {
  byte ticket;
  APPLY_LOCALS;
  write(0, 2 + 2 * self);
  apply(ticket);
  atomic { assert(has(applied, ticket)); fate[self] = OVER };
dead:
  atomic { ticket = 0; outcome = 0; FORGET }
}

/* An operator who looks, decides, and asks for the flag to be lowered: Flag::clear. */
proctype clear(byte self) {
  byte ticket, asked_g, asked_l, m;
  bool unseen, forced;
  APPLY_LOCALS;
  step(generation != 0 || (at_rest(0) && (TRIGGERS == 1 || at_rest(1))); asked_g = generation; asked_l = level);
  forced = self >= FIRST_MEMBER - FORCED;
  step(
    if
    :: level == 0 || generation != asked_g || level != asked_l -> fate[self] = OVER; goto dead
    :: else -> skip
    fi);
  do
  :: !forced && m < MEMBERS ->
#ifndef BREAK_NOT_ASKED
     step(unseen = unseen || (living(FIRST_MEMBER + m) && slot_seen[m] < asked_g); m++)
#else
     m = MEMBERS
#endif
  :: forced || m == MEMBERS -> break
  od;
  if
  :: unseen -> skip
  :: !unseen ->
     write(asked_g + 16 * forced, asked_l + IS_CLEAR);
     apply(ticket);
     atomic {
       assert((outcome == VOIDED) == !has(applied, ticket)); /* what the caller is told is what happened */
       reached(3, "a trigger wins against a clear", outcome == VOIDED && level == 4);
       reached(4, "a clear takes effect", outcome == HERE);
       reached(5, "a clear is applied by somebody else, and its caller is told", outcome == ALREADY)
     }
  fi;
  atomic { reached(6, "a clear waits for a member who has not seen", unseen); fate[self] = OVER };
dead:
  atomic { ticket = 0; asked_g = 0; asked_l = 0; m = 0; unseen = false; forced = false; outcome = 0; FORGET }
}

#define open_ticket(t) ((t) < next_ticket && !has(read, t) && slot_of(t).phase != EMPTY)
#define news (generation != saw || open_ticket(0) || open_ticket(1) || (RECORDS > 2 && open_ticket(2)))
#define others_at_rest (at_rest(0) && at_rest(1) && (RECORDS < 3 || at_rest(2)))

/* Woken by a hint or by its re-check (wake.pml), a member looks, reads its cursor to the end, and says what it saw. */
proctype member(byte self) {
  byte at, saw;
  short read, emergencies;
  APPLY_LOCALS;
  do
  :: atomic { news ->
       saw = generation;
       knows[self - FIRST_MEMBER] = saw
     };
     do
     :: atomic { at < RECORDS && open_ticket(at) && slot_of(at).phase == COMPLETE -> skip };
        apply(at);
        outcome = 0
     :: atomic { at < RECORDS && open_ticket(at) && slot_of(at).phase != COMPLETE ->
          add(read, at);
          if
          :: slot_of(at).phase == APPLIED && !(slot_of(at).word[1] & IS_CLEAR) -> add(emergencies, at)
          :: else -> skip
          fi;
          at++
        }
     :: at < RECORDS && !open_ticket(at) -> at++
     :: at == RECORDS -> at = 0; break
     or_its_end
     od;
     step(slot_seen[self - FIRST_MEMBER] = saw)
  :: atomic { others_at_rest && !news -> break }
  or_its_end
  od;
  atomic {
    do /* it was told of every emergency, also of those that were cleared meanwhile */
    :: at < RECORDS ->
       assert(!has(applied, at) || (slot_of(at).word[1] & IS_CLEAR) || has(emergencies, at));
       at++
    :: at == RECORDS -> break
    od;
    reached(7, "a member reads an emergency that was cleared", level == 0 && emergencies != 0);
    fate[self] = OVER
  };
dead:
  atomic { at = 0; saw = 0; read = 0; emergencies = 0; outcome = 0; FORGET }
}

active proctype at_the_end() {
  byte t;
  timeout ->
  atomic {
    do
    :: t < PEOPLE -> assert(at_rest(t)); t++
    :: t == PEOPLE -> break
    od;
    /* Whoever is left has applied, or voided, what the dead completed. */
    t = 0;
    do
    :: t < RECORDS && (fate[FIRST_MEMBER] == OVER || fate[PEOPLE - 1] == OVER) ->
       assert(!has(completed, t) || slot_of(t).phase == APPLIED || slot_of(t).phase == VOID);
       assert(has(applied, t) == (slot_of(t).phase == APPLIED));
       t++
    :: else -> break
    od
  }
}

init {
  byte who;
  atomic {
#ifdef RAISED
    record[0].phase = APPLIED;
    record[0].extra = 1;
    record[0].word[1] = 2;
    next_ticket = 1; generation = 1; level = 2; named = 0;
    completed = 1; applied = 1; raised_last = 1;
    fate[0] = OVER;
    who = 1;
#endif
    do
    :: who < TRIGGERS -> run trigger(who); who++
    :: who >= TRIGGERS && who < FIRST_MEMBER -> run clear(who); who++
    :: who >= FIRST_MEMBER && who < PEOPLE -> run member(who); who++
    :: who == PEOPLE -> who = 0; break
    od
  }
}
