/** @type {import('../mutations.mjs').Mutation[]} */
export const around = [
  {
    what: 'cursor: what was passed over is forgotten',
    group: 'cursors and clears',
    file: 'cursor.cc',
    edits: [['case ReadOutcome::kPending: continue;', 'case ReadOutcome::kPending: break;']],
    by: ['model'],
  },
  {
    what: 'cursor: a lap is not counted',
    group: 'cursors and clears',
    file: 'cursor.cc',
    edits: [
      [
        'batch.overruns += done_.test(static_cast<size_t>(i)) ? 0 : 1',
        'batch.overruns += done_.test(static_cast<size_t>(i)) ? 0 : 0',
      ],
    ],
    by: ['model', 'ring_test'],
  },
  {
    what: 'cursor: what was overwritten during the look is not counted',
    group: 'cursors and clears',
    file: 'cursor.cc',
    edits: [
      ['case ReadOutcome::kOverwritten: batch.overruns++; break;', 'case ReadOutcome::kOverwritten: break;'],
    ],
    by: ['model'],
  },
  {
    what: 'cursor: records are told before they are applied',
    group: 'cursors and clears',
    file: 'cursor.cc',
    edits: [['      ring.repair(ticket);\n', '']],
    by: ['model'],
  },
  {
    what: 'clear: members that have not seen it are not waited for',
    group: 'cursors and clears',
    file: 'flag.cc',
    edits: [['if (!asked.force) {', 'if (asked.force) {']],
    by: ['ring_test'],
  },
  {
    what: 'clear: superseded is not noticed',
    group: 'cursors and clears',
    file: 'flag.cc',
    edits: [
      ['if (now.generation != asked.generation || now.level != asked.level) return result;', ''],
      [
        'request.cleared_generation = asked.generation;\n  request.cleared_level = asked.level;',
        'request.cleared_generation = control().generation;\n  request.cleared_level = control().level;',
      ],
    ],
    by: ['ring_test'],
  },
  {
    what: 'wake: a trigger wakes nobody',
    group: 'wake and slots',
    file: 'flag.cc',
    edits: [['raised.woke = wake();', 'raised.woke = false;']],
    by: ['hints_test', 'watcher_test'],
  },
  {
    what: 'wake: an earlier queue of the slot is taken for the present one',
    group: 'wake and slots',
    file: 'wake.cc',
    edits: [['if (target.queue < 0 || target.number != number) {', 'if (target.queue < 0) {']],
    by: ['hints_test', 'watcher_test'],
  },
  {
    what: 'wake: no futex where there is no queue',
    group: 'wake and slots',
    file: 'wake.cc',
    edits: [['slot.wake_word.fetch_add(1, std::memory_order_acq_rel);', '']],
    by: ['hints_test', 'watcher_test'],
  },
  {
    what: 'slots: a slot of the living is taken over',
    group: 'wake and slots',
    file: 'slots.cc',
    edits: [['if (owner_of(word) != 0 && !dead(index, word)) continue;', '']],
    by: ['ring_test', 'model'],
  },
  {
    what: 'slots: the dead are held to be alive',
    group: 'wake and slots',
    file: 'identity.cc',
    edits: [
      [
        "if (stat.state == 'X' || (stat.state == 'Z' && stat.threads <= 1)) return false;",
        'if (stat.found) return true;',
      ],
      ['errno == ESRCH) return false;', 'errno == ESRCH) return true;'],
    ],
    by: ['ring_crash_test'],
  },
  {
    what: 'histogram: buckets are off by one',
    group: 'histogram',
    file: 'latency_histogram.cc',
    edits: [
      [
        'counts[bucket_index(static_cast<uint64_t>(value_ns))], 1)',
        'counts[bucket_index(static_cast<uint64_t>(value_ns)) - 1], 1)',
      ],
    ],
    by: ['histogram_test'],
  },
  {
    what: 'histogram: stripes of the living are claimed',
    group: 'histogram',
    file: 'latency_histogram.cc',
    edits: [['if (id != 0 && liveness.alive(id)) continue;', '']],
    by: ['histogram_test'],
  },
  {
    what: 'histogram: stripes of the dead are not recycled',
    group: 'histogram',
    file: 'latency_histogram.cc',
    edits: [['if (id != 0 && liveness.alive(id)) continue;', 'if (id != 0) continue;']],
    by: ['torture'],
  },
  {
    what: 'histogram: a recycled stripe loses its counts',
    group: 'histogram',
    file: 'latency_histogram.cc',
    edits: [
      [
        'stripe_ = &stripes_[i];\n',
        'stripe_ = &stripes_[i];\n      for (auto& count : stripe_->counts) store(count, 0);\n',
      ],
    ],
    by: ['torture'],
  },
  {
    what: 'histogram: what is out of range is dropped silently',
    group: 'histogram',
    file: 'latency_histogram.cc',
    edits: [['add(stripe_->totals[kTotalOutOfRange], 1);', '']],
    by: ['histogram_test'],
  },
];

/** Seen by processes that are really killed and stopped. @type {import('../mutations.mjs').Mutation[]} */
export const killed = [
  {
    what: 'torture: half-filled records are handed out, their checksum not looked at',
    group: 'under SIGKILL',
    file: 'ring.cc',
    edits: [
      ['if (before.phase == Phase::kClaimed) return', 'if (before.phase == Phase::kClaimed && !dead) return'],
      [
        '  if (!payload_intact(out.payload)) return ReadOutcome::kCorrupt;\n  if (out.payload.ticket != ticket) return ReadOutcome::kOverwritten;\n',
        '',
      ],
    ],
    by: ['torture'],
  },
  {
    what: 'torture: a lower trigger lowers the level',
    group: 'under SIGKILL',
    file: 'ring.cc',
    edits: [['now.level > level ? now.level : level, tag}', 'level, tag}']],
    by: ['torture'],
  },
  {
    what: 'torture: control is replaced before the record it names is marked',
    group: 'under SIGKILL',
    file: 'ring.cc',
    edits: [
      ['    mark(now);\n    // PAIRS-WITH(ring.control)', '    // PAIRS-WITH(ring.control)'],
      [
        '      mark(next);\n      return ApplyOutcome::kAppliedHere;',
        '      return ApplyOutcome::kAppliedHere;',
      ],
    ],
    by: ['torture'],
  },
  {
    what: 'torture: laps of a reader are not counted',
    group: 'under SIGKILL',
    file: 'cursor.cc',
    edits: [['batch.overruns += jump - done_.count();', '']],
    by: ['torture'],
  },
];
