import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generationReached as reached } from '../../src/native/generations.ts';

const test = suite('generations');

test('[R-F10] generations count modulo 2^32; 0 is before everything', () => {
  assert.ok(reached(5, 5) && reached(6, 5) && reached(1, 2 ** 32 - 1));
  assert.not(reached(4, 5) || reached(2 ** 32 - 1, 1) || reached(0, 2 ** 32 - 1));
});

test.run();
