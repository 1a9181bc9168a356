import { totalmem } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import { KernelFiles } from '../../../src/faults/memory/files.ts';
import { MemoryLimitFinder } from '../../../src/faults/memory/limit.ts';
import { parseMemorySize } from '../../../src/faults/memory/size.ts';
import { Troubles } from '../../../src/faults/memory/troubles.ts';
import {
  type KernelTree,
  makeKernelTree,
  NO_LIMIT_V1,
  PHYSICAL_BYTES,
  v1Files,
  v2Files,
} from '../../helpers/kernel-tree.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('memory limit');
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const trees: KernelTree[] = [];

test.after.each(() => {
  for (const tree of trees.splice(0)) tree.cleanUp();
});

function finderOn(files: Record<string, string>, explicitBytes?: number, environmentBytes?: number) {
  const tree = makeKernelTree(files);
  trees.push(tree);
  const troubles = new Troubles(createManualClock(), new Metrics(), () => undefined);
  const finder = new MemoryLimitFinder(new KernelFiles(tree.root), troubles, explicitBytes, environmentBytes);
  const find = () => {
    const { limit, watched, cgroup } = finder.find();
    return {
      limitBytes: limit.limitBytes,
      source: limit.source,
      path: limit.path.replace(tree.root, ''),
      usage: watched.map(({ usagePath }) => usagePath.replace(tree.root, '')),
      watched,
      cgroup,
    };
  };
  return { tree, troubles, find };
}

test('[R-E3] version 2: the smallest up to the root, and all that have one are watched', () => {
  const { find, troubles } = finderOn(v2Files({ '/app/worker': `${2 * GIB}\n`, '/app': `${GIB}\n` }));
  const found = find();
  assert.equal([found.limitBytes, found.source], [GIB, 'cgroup-v2']);
  assert.is(found.path, '/sys/fs/cgroup/app/memory.max');
  assert.equal(found.usage, [
    '/sys/fs/cgroup/app/memory.current',
    '/sys/fs/cgroup/app/worker/memory.current',
  ]);
  assert.is(found.watched[0]?.deductKey, 'inactive_file');
  assert.is(troubles.total, 0, 'the root has no memory.max: nothing is wrong with that');
});

test('[R-E3] version 1: its own limit, and the one of the hierarchy above what is mounted', () => {
  const own = finderOn(v1Files(`${512 * MIB}\n`)).find();
  assert.equal([own.limitBytes, own.source], [512 * MIB, 'cgroup-v1']);
  assert.equal(own.usage, ['/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes']);
  assert.is(own.watched[0]?.deductKey, 'total_inactive_file');
  const above = finderOn(v1Files(`${512 * MIB}\n`, `${256 * MIB}`)).find();
  assert.equal([above.limitBytes, above.path], [256 * MIB, '/sys/fs/cgroup/memory/docker/abc/memory.stat']);
  assert.is(above.watched.length, 2);
});

test('[R-E3] hybrid: memory is where version 1 has it, else in version 2', () => {
  const inV1 = finderOn({
    ...v1Files(`${512 * MIB}\n`),
    ...{ '/sys/fs/cgroup/unified/memory.max': '1048576\n' },
  });
  assert.is(inV1.find().source, 'cgroup-v1');
  const inV2 = finderOn({
    ...v1Files(NO_LIMIT_V1),
    '/proc/self/cgroup': '4:cpu:/docker/abc\n0::/app\n',
    '/sys/fs/cgroup/unified/app/memory.max': `${300 * MIB}\n`,
  }).find();
  assert.equal([inV2.limitBytes, inV2.source], [300 * MIB, 'cgroup-v2']);
});

test('[R-E3] ways to write that there is none', () => {
  for (const none of [
    'max\n',
    NO_LIMIT_V1,
    '9223372036854710272\n',
    '18446744073709551615\n',
    '9223372036854775807\n',
  ]) {
    const found = finderOn(v2Files({ '/app/worker': none })).find();
    assert.equal([found.limitBytes, found.source], [PHYSICAL_BYTES, 'physical'], none);
    assert.is(found.watched[0]?.deductKey, 'MemAvailable:');
  }
  const large = finderOn(v2Files({ '/app': `${PHYSICAL_BYTES * 2}\n` })).find();
  assert.is(large.source, 'physical', 'more than there is');
});

test('[R-E3] bind mounts, cgroup namespaces and paths that are not to be seen', () => {
  const mount = (root: string) => `30 23 0:26 ${root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n`;
  const rows: [cgroup: string, root: string, folder: string][] = [
    ['0::/kube/pod1\n', '/kube/pod1', '/sys/fs/cgroup'],
    ['0::/kube/pod1/inner\n', '/kube/pod1', '/sys/fs/cgroup/inner'],
    ['0::/\n', '/', '/sys/fs/cgroup'],
    ['0::/not/visible\n', '/', '/sys/fs/cgroup'],
    ['0::/../../elsewhere\n', '/', '/sys/fs/cgroup'],
    ['0::/kube/pod10\n', '/kube/pod1', '/sys/fs/cgroup'],
    ['0::/\n', '/../..', '/sys/fs/cgroup'],
  ];
  for (const [cgroup, root, folder] of rows) {
    const { find } = finderOn({
      '/proc/self/cgroup': cgroup,
      '/proc/self/mountinfo': mount(root),
      [`${folder}/memory.max`]: `${100 * MIB}\n`,
      // Where a careless reading of the last rows would end up.
      '/sys/elsewhere/memory.max': `${50 * MIB}\n`,
      '/sys/fs/cgroup0/memory.max': `${50 * MIB}\n`,
    });
    assert.is(find().path, `${folder}/memory.max`, `${cgroup.trim()} at ${root}`);
  }
  const spaced = finderOn({
    '/proc/self/cgroup': '0::/a b\n',
    '/proc/self/mountinfo': '30 23 0:26 / /my\\040cgroups rw - cgroup2 cgroup2 rw\n',
    '/my cgroups/a b/memory.max': `${100 * MIB}\n`,
  });
  assert.is(spaced.find().path, '/my cgroups/a b/memory.max');
});

test('[R-E3] the order: option, cgroup, MEMORY_LIMIT, physical memory', () => {
  const limited = v2Files({ '/app': `${GIB}\n` });
  const option = finderOn(limited, 300 * MIB, 200 * MIB).find();
  assert.equal([option.limitBytes, option.source, option.path], [300 * MIB, 'option', '']);
  assert.is(option.watched[0]?.usageKey, 'VmRSS:', 'a limit of this process: its resident set');
  assert.is(finderOn(limited, undefined, 200 * MIB).find().source, 'cgroup-v2');
  const variable = finderOn(v2Files({}), undefined, 200 * MIB).find();
  assert.equal([variable.limitBytes, variable.source], [200 * MIB, 'MEMORY_LIMIT']);
  assert.is(finderOn(v2Files({})).find().source, 'physical');
});

test('[R-E3] garbage at the first look: counted, and the next source', () => {
  for (const bad of ['', 'garbage\n', '-1\n', '0\n', '12 34\n', '1e9\n', '\u0000\n']) {
    const { find, troubles } = finderOn(v2Files({ '/app/worker': bad }), undefined, 200 * MIB);
    assert.is(find().source, 'MEMORY_LIMIT', JSON.stringify(bad));
    assert.equal(
      troubles.list().map(({ code, count }) => [code, count]),
      [['ESPER_MEMORY_FORMAT', 1]],
    );
  }
});

test('[R-E3] while it runs: lowered, then garbage, truncated and gone: the last good value, each counted', () => {
  const { tree, find, troubles } = finderOn(v2Files({ '/app/worker': `${GIB}\n` }));
  const path = '/sys/fs/cgroup/app/worker/memory.max';
  assert.is(find().limitBytes, GIB);
  tree.write(path, `${512 * MIB}\n`);
  assert.is(find().limitBytes, 512 * MIB);
  for (const bad of ['', 'garb']) {
    tree.write(path, bad);
    assert.is(find().limitBytes, 512 * MIB, JSON.stringify(bad));
  }
  tree.remove(path);
  assert.is(find().limitBytes, 512 * MIB);
  tree.remove('/proc/self/cgroup');
  assert.is(find().limitBytes, 512 * MIB);
  const codes = troubles.list().map(({ code, count }) => `${code} ${count}`);
  assert.equal(codes, ['ESPER_MEMORY_FORMAT 2', 'ESPER_MEMORY_UNREADABLE 1', 'ESPER_MEMORY_UNREADABLE 1']);
  assert.is(troubles.total, 4);
});

test('[R-E3] moved to another cgroup: its limit, without trouble', () => {
  const { tree, find, troubles } = finderOn(v2Files({ '/app/worker': `${GIB}\n` }));
  find();
  tree.write('/proc/self/cgroup', '0::/other\n');
  tree.write('/sys/fs/cgroup/other/memory.max', `${64 * MIB}\n`);
  assert.equal([find().limitBytes, troubles.total], [64 * MIB, 0]);
});

test('[R-E3] version 1 files that are missing, and no /proc at all', () => {
  const { tree, find, troubles } = finderOn(v1Files(`${512 * MIB}\n`));
  tree.remove('/sys/fs/cgroup/memory/docker/abc/memory.stat');
  assert.is(find().limitBytes, 512 * MIB);
  assert.is(troubles.list()[0]?.code, 'ESPER_MEMORY_UNREADABLE');
  const bare = finderOn({});
  bare.tree.remove('/proc');
  const found = bare.find();
  assert.equal([found.source, found.limitBytes], ['physical', totalmem()]);
});

test('[R-E3] MEMORY_LIMIT in every unit', () => {
  const rows: [string, number][] = [
    ['536870912', 512 * MIB],
    ['512M', 512 * MIB],
    ['512m', 512 * MIB],
    ['512MB', 512 * MIB],
    ['512mb', 512 * MIB],
    ['512MiB', 512 * MIB],
    ['2G', 2 * GIB],
    ['1Gi', GIB],
    ['1gi', GIB],
    ['1.5g', 1.5 * GIB],
    [' 4096 K ', 4 * MIB],
    ['1T', 2 ** 40],
    ['16777216b', 16 * MIB],
  ];
  for (const [text, bytes] of rows) assert.is(parseMemorySize('MEMORY_LIMIT', text), bytes, text);
});

test('[R-E3] MEMORY_LIMIT that is nonsense names itself', () => {
  const bad = [
    '',
    'max',
    '512X',
    '-1G',
    '1e9',
    '0',
    '0G',
    '1',
    '1iB',
    '2000000iB',
    '2000000.5',
    '1.5',
    'G',
    '1 2G',
    '99999T',
    '0x10M',
    '½G',
    'NaN',
  ];
  for (const text of bad) {
    assert.throws(
      () => parseMemorySize('MEMORY_LIMIT', text),
      (error: { code: string; message: string }) =>
        error.code === 'ESPER_OPTION_INVALID' && error.message.includes('MEMORY_LIMIT'),
      text,
    );
  }
});

test.run();
