/*
 * wake, watch, re-check (native/core/wake.h, watcher.cc, native/addon/loop_wake.cc; decision 0004).
 *
 * proves: no watcher sleeps for ever beside news, whoever dies before its hint, and however many hints are forged
 *
 * SENDERS raise the generation and then send a hint to the queue of the one watcher, which holds one message; a sender
 * may be killed in between. Hints may also go to the futex word (no queue can be opened), and FORGED ones may come. The
 * event loop takes a hint before it looks; after IDLE fruitless ones in a row it leaves the queue alone until the
 * native thread's re-check. The re-check comes some time after it has a reason to: when, nobody relies on.
 *
 * NO_RECHECK with IMMORTAL senders: hints alone are never lost, a re-check is only for what the dead did not send.
 */
#define PEOPLE SENDERS
#ifdef IMMORTAL
#define mortal false
#else
#define mortal true
#endif
#define stoppable false
#include "world.inc"

#define IDLE 2
#ifndef FORGED
#define FORGED 0
#endif

byte generation;
bool wanted;       /* the slot's flag: wants hints */
bool queue;        /* a message waits */
bool raised_word;  /* the slot's futex word was raised, and its thread not back to sleep since */
byte looked;       /* the generation that the loop has looked at */
bool notify_asked; /* the loop polls its queue no more */
bool notified;     /* uv_async */
bool polling = true;
byte idle;

proctype sender(byte self) {
  step(generation++);
  if
  :: wanted ->
     if
     :: step(queue = true) /* full: a hint waits, which is as good */
#ifndef NO_RECHECK
     :: step(raised_word = true)
#endif
     fi
  :: !wanted -> reached(1, "a trigger before the watch wants hints", generation != looked)
  or_its_end
  fi;
  atomic { fate[self] = OVER };
dead: skip
}

proctype forger() {
  byte sent;
  do
  :: sent < FORGED -> atomic { !queue -> queue = true }; sent++
  :: sent == FORGED -> break
  od
}

/* FlagObject::look: whether there was news. */
#define look(news) news = generation != looked; looked = generation

proctype event_loop() {
  bool news;
#ifndef NO_RECHECK
  looked = generation; /* FlagObject::watch: looks, opens the queue, only then wants hints */
#endif
  wanted = true;
end:
  do
#ifndef BREAK_LOOK_FIRST
  :: atomic { polling && queue -> queue = false };
     atomic { look(news) };
#else
  :: atomic { polling && queue -> look(news) };
     atomic { queue = false };
#endif
     if
     :: news -> idle = 0
     :: !news ->
        idle++;
#ifndef NO_RECHECK
        if
        :: idle == IDLE -> polling = false; atomic { notify_asked = true; reached(2, "the queue is left alone", true) }
        :: else -> skip
        fi
#endif
     fi;
     news = false
  :: atomic { notified -> notified = false };
     atomic { look(news); reached(3, "the re-check finds what no hint told", news && polling) };
     if
     :: !polling -> idle = 0; polling = true
     :: polling -> skip
     fi;
     if
     :: news -> idle = 0
     :: else -> skip
     fi;
     news = false
  od
}

/* Watcher::recheck, when its time has come or its word was raised. */
proctype native_thread() {
#ifndef NO_RECHECK
end:
  do
  :: atomic { wanted && (generation != looked || notify_asked || raised_word) && !notified -> raised_word = false };
     atomic {
       if
       :: generation != looked || notify_asked -> notify_asked = false; notified = true
       :: else -> reached(4, "a hint through the futex finds the loop informed", true)
       fi
     }
  od
#else
  skip
#endif
}

active proctype at_the_end() {
  byte who;
  timeout ->
  atomic {
    do
    :: who < PEOPLE -> assert(at_rest(who)); who++
    :: who == PEOPLE -> break
    od;
    assert(looked == generation); /* nobody sleeps beside news */
#ifndef NO_RECHECK
    assert(polling);              /* and hints are heard again */
#endif
    reached(5, "a sender dies before its hint", fate[0] == DEAD && generation == SENDERS);
    reached(6, "every hint is told of", generation == SENDERS)
  }
}

init {
  atomic {
#ifdef NO_RECHECK
    wanted = true;
#endif
    run sender(0);
    run sender(1);
#if SENDERS > 2
    run sender(2);
#endif
    run event_loop();
    run native_thread();
    run forger()
  }
}
