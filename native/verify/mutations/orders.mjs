const relaxed = 'std::memory_order_relaxed';
const acquire = 'std::memory_order_acquire';

/** @type {import('../mutations.mjs').Mutation[]} */
export const orders = [
  {
    what: 'ring.control: the store of apply releases nothing',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        'if (control_->word.compare_exchange_strong(word, next.pack(), std::memory_order_acq_rel,\n                                               std::memory_order_relaxed)) {\n      generation',
        'if (control_->word.compare_exchange_strong(word, next.pack(), std::memory_order_acquire,\n                                               std::memory_order_relaxed)) {\n      generation',
      ],
    ],
    by: ['model'],
    short: true,
  },
  {
    what: 'ring.control: the load of the decision is relaxed',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `return ControlValue::unpack(control_->word.load(${acquire}))`,
        `return ControlValue::unpack(control_->word.load(${relaxed}))`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.complete: the compare-and-swap releases nothing',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        'compare_exchange_strong(mine, complete, std::memory_order_acq_rel',
        'compare_exchange_strong(mine, complete, std::memory_order_acquire',
      ],
    ],
    by: ['model'],
    short: true,
  },
  {
    what: "ring.complete: the reader's first look is relaxed",
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `const uint64_t word = slot(ticket).state.load(${acquire});`,
        `const uint64_t word = slot(ticket).state.load(${relaxed});`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.claim: payload words are stored relaxed',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        'record.words[i].store(word_of(payload, i), std::memory_order_release)',
        `record.words[i].store(word_of(payload, i), ${relaxed})`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.claim: payload words are loaded relaxed',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `const uint64_t word = record.words[i].load(${acquire});`,
        `const uint64_t word = record.words[i].load(${relaxed});`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.claim: the claim acquires nothing of the writer before it',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `uint64_t word = record.state.load(${acquire});\n  // Every failed CAS`,
        `uint64_t word = record.state.load(${relaxed});\n  // Every failed CAS`,
      ],
      [
        'claimed.pack(), std::memory_order_acq_rel,\n                                              std::memory_order_acquire',
        'claimed.pack(), std::memory_order_release,\n                                              std::memory_order_relaxed',
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.applied: the mark releases nothing',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `strong(word, applied, std::memory_order_acq_rel, ${relaxed})`,
        `strong(word, applied, ${relaxed}, ${relaxed})`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.applied: apply loads control relaxed',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `uint64_t word = control_->word.load(${acquire});\n    const ControlValue now`,
        `uint64_t word = control_->word.load(${relaxed});\n    const ControlValue now`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'ring.applied: apply loads the state relaxed',
    group: 'memory orders',
    file: 'ring.cc',
    edits: [
      [
        `uint64_t complete = record.state.load(${acquire});`,
        `uint64_t complete = record.state.load(${relaxed});`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'slots.filled: the store releases nothing',
    group: 'memory orders',
    file: 'slots.cc',
    edits: [['slot.filled.store(mine, std::memory_order_release)', `slot.filled.store(mine, ${relaxed})`]],
    by: ['model'],
  },
  {
    what: 'slots.filled: the load is relaxed',
    group: 'memory orders',
    file: 'slots.cc',
    edits: [
      [
        `slots_[index].filled.load(${acquire}) == incarnation_of(word);\n}`,
        `slots_[index].filled.load(${relaxed}) == incarnation_of(word);\n}`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'slots.pulse: the limit releases nothing',
    group: 'memory orders',
    file: 'slots.cc',
    edits: [
      [
        'slot.limit_ms.store(limit_ms, std::memory_order_release)',
        `slot.limit_ms.store(limit_ms, ${relaxed})`,
      ],
    ],
    by: ['model'],
  },
  {
    what: 'slots.pulse: the limit is loaded relaxed',
    group: 'memory orders',
    file: 'slots.cc',
    edits: [[`slot.limit_ms.load(${acquire})} * 1000000u`, `slot.limit_ms.load(${relaxed})} * 1000000u`]],
    by: ['model'],
  },
];
