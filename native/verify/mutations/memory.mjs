/** @type {import('../mutations.mjs').Mutation[]} */
export const memory = [
  {
    what: 'memory: a crossing that lasts is raised at every sample',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [['  if (!over || (!begins && ', '  if (!over || (false && ']],
    by: ['memory_sampler_test'],
    short: true,
  },
  {
    what: 'memory: a crossing never ends',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [['plan.settings.dwell_ns) crossed_ = false;', 'plan.settings.dwell_ns) crossed_ = true;']],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory: the dwell time is not waited for',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [['now - below_since_ns_ >= plan.settings.dwell_ns', 'now >= below_since_ns_']],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory: the margin is forgotten',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [['full < plan.settings.critical - plan.settings.margin', 'full < plan.settings.critical']],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory: who arms during a crossing is not told',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [['alarm_is_new_.store(true', 'alarm_is_new_.store(false']],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory: a peak that nobody was told of is forgotten',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [['now_.peak_sample <= told_', 'now_.peak_sample >= told_']],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory: the emptiest decides',
    group: 'memory sampler',
    file: 'memory_sampler.cc',
    edits: [
      [
        'share(gauge.usage(), gauge.limit()) <= share(now_.usage',
        'share(gauge.usage(), gauge.limit()) >= share(now_.usage',
      ],
    ],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory: growth does not shorten the sleep',
    group: 'memory sampler',
    file: 'memory_pace.cc',
    edits: [['  if (rate > 0) sleep_ns = ', '  if (rate == 1) sleep_ns = ']],
    by: ['memory_sampler_test'],
  },
  {
    what: 'memory gauge: a number that may be cut is taken',
    group: 'memory sampler',
    file: 'memory_gauge.cc',
    edits: [
      [
        'if (at == begin || at == text.size()) return false;',
        'if (at == begin) return false;\n  if (at == text.size()) return out = value, true;',
      ],
    ],
    by: ['memory_gauge_test'],
    short: true,
  },
  {
    what: 'memory gauge: page cache passes for use when it cannot be read',
    group: 'memory sampler',
    file: 'memory_gauge.cc',
    edits: [['    } else if (!has_deduction_) {', '    } else if (false) {']],
    by: ['memory_gauge_test'],
  },
  {
    what: 'memory gauge: bytes that do not fit 64 bits wrap around',
    group: 'memory sampler',
    file: 'memory_gauge.cc',
    edits: [['spec_.usage_field, out) && fits(out)) return true;', 'spec_.usage_field, out)) return true;']],
    by: ['memory_gauge_test'],
  },
  {
    what: 'memory gauge: a key matches the beginning of another',
    group: 'memory sampler',
    file: 'memory_gauge.cc',
    edits: [[' && after < text.size() && is_blank(text[after])) {', ' && after < text.size()) {']],
    by: ['memory_gauge_test'],
  },
];
