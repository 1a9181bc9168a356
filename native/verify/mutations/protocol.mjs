/** @type {import('../mutations.mjs').Mutation[]} */
export const protocol = [
  {
    what: 'read: no second look at the state',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['  if (after.tag != tag_of(ticket)) return ReadOutcome::kOverwritten;\n', '']],
    by: ['model'],
    short: true,
  },
  {
    what: 'read: no second look at the claim of the dead',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['dead = after == word;\n  return StateValue::unpack(after);', 'dead = true;\n  return state;']],
    by: ['model'],
  },
  {
    what: 'apply: control is replaced before the record it names is marked',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['    mark(now);\n    // PAIRS-WITH(ring.control)', '    // PAIRS-WITH(ring.control)']],
    by: ['model'],
  },
  {
    what: 'apply: nobody asks whether control names the record already',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['if (now.generation != 0 && now.tag == tag) {', 'if (now.generation == UINT32_MAX) {']],
    by: ['model'],
  },
  {
    what: 'claim: the claim of a living writer is taken over',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['    if (state.phase == Phase::kClaimed && liveness_.alive(state.extra)) return false;\n', '']],
    by: ['ring_crash_test'],
  },
  {
    what: 'claim: a complete record of the lap before is not applied first',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      [
        '      repair(full_ticket(ticket, state.tag));\n      word = record.state.load(std::memory_order_acquire);\n      continue;\n',
        '',
      ],
    ],
    by: ['ring_crash_test'],
  },
  {
    what: 'claim: a slot of a later ticket is taken back',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      ['!tag_newer(tag_of(ticket), state.tag)) return false', 'tag_of(ticket) == state.tag) return false'],
    ],
    by: ['model'],
  },
  {
    what: 'write: complete before it is filled',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      ['    fill(*ticket, payload, request.published);\n', ''],
      [
        '    Raised raised;\n    raised.ticket = *ticket;\n',
        '    fill(*ticket, payload, request.published);\n    Raised raised;\n    raised.ticket = *ticket;\n',
      ],
    ],
    by: ['model'],
  },
  {
    what: 'write: sealed after it is filled',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      [
        '    seal_payload(request, header_->nonce, *ticket, payload);\n    fill(*ticket, payload, request.published);\n',
        '    fill(*ticket, payload, request.published);\n    seal_payload(request, header_->nonce, *ticket, payload);\n',
      ],
    ],
    by: ['model', 'ring_test'],
  },
  {
    what: 'write: completed although the claim was lost',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      [
        'uint64_t mine = StateValue{Phase::kClaimed, tag_of(*ticket), self_owner_}.pack();',
        'uint64_t mine = slot(*ticket).state.load();',
      ],
      [
        '    seal_payload(request, header_->nonce, *ticket, payload);\n    fill',
        '    seal_payload(request, header_->nonce, *ticket ^ 1, payload);\n    fill',
      ],
    ],
    by: ['model', 'ring_test'],
  },
  {
    what: 'raise: a lower trigger lowers the level',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['now.level > level ? now.level : level, tag}', 'level, tag}']],
    by: ['ring_test'],
  },
  {
    what: 'clear: by the level alone, whatever the generation',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      [
        'if (now.generation != seen.generation || now.level != seen.level) {',
        'if (now.level != seen.level) {',
      ],
    ],
    by: ['model'],
  },
  {
    what: 'clear: completed by others without its condition',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      [
        'if (now.generation != seen.generation || now.level != seen.level) {',
        'if (now.generation == seen.generation - 1) {',
      ],
    ],
    by: ['ring_crash_test'],
  },
  {
    what: 'sweep: a complete record of the lap before is passed',
    group: 'protocol',
    file: 'ring.cc',
    edits: [
      [
        '} else if (!done && state.phase == Phase::kComplete) {',
        '} else if (done && state.phase == Phase::kComplete) {',
      ],
    ],
    by: ['ring_crash_test'],
  },
  {
    what: 'sweep: nothing is repaired',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['if (state.phase == Phase::kComplete) changed = repair(ticket) || changed;', '']],
    by: ['ring_crash_test'],
  },
  {
    what: 'sweep: what is still being written counts as settled',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['done = state.phase != Phase::kClaimed || dead;', 'done = true;']],
    by: ['model'],
  },
  {
    what: 'raise: a ring held by the stopped holds back the level',
    group: 'protocol',
    file: 'ring.cc',
    edits: [['if (next.level < request.level) next.level = request.level;', '']],
    by: ['ring_crash_test'],
  },
  {
    what: 'the checksum is not looked at',
    group: 'protocol',
    file: 'payload.cc',
    edits: [['payload.crc32c == payload_crc(payload) && ', '']],
    by: ['payload_test'],
  },
  {
    what: 'owners of another pid namespace are judged',
    group: 'protocol',
    file: 'identity.h',
    edits: [['return !same_ || owner_alive(owner);', 'return owner_alive(owner);']],
    by: ['ring_crash_test'],
  },
];
