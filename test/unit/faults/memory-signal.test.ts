import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createMemoryMonitor } from '../../../src/faults/memory/monitor.ts';
import { openEmergencySignal } from '../../../src/signals/index.ts';
import { makeKernelTree, v2Files } from '../../helpers/kernel-tree.ts';
import { until } from '../../helpers/until.ts';

const test = suite('memory monitors on one signal');
const MIB = 2 ** 20;

test('[R-E3] one that stops leaves the alarm of the one that was armed after it', async () => {
  const name = `memory-signal.${process.pid}.${randomBytes(4).toString('hex')}`;
  const signal = openEmergencySignal(name);
  const tree = makeKernelTree(v2Files({ '/app/worker': `${1000 * MIB}\n` }, 100 * MIB));
  const options = { root: tree.root, intervalMs: 1, nearIntervalMs: 1 };
  const make = () => createMemoryMonitor(options, { errors: { emit: () => undefined }, env: {}, signal });
  const before = make();
  const after = make();
  try {
    before.start();
    after.start();
    before.stop();
    tree.write('/sys/fs/cgroup/app/worker/memory.current', `${960 * MIB}\n`);
    await until('the crossing', () => after.check().crossings === 1);
    assert.is(after.check().raises, 1);
    assert.is(signal.level(), 3);
  } finally {
    after.stop();
    signal.unlink();
    signal.close();
    tree.cleanUp();
  }
});

test.run();
