#!/usr/bin/env node
/**
 * npm's `prepare`: after `npm ci` in a checkout the generated contract is there. An install without development
 * dependencies (`npm ci --omit=dev`) has no generator, and needs none when the package is only used: it is told
 * and passes, or every such install would fail.
 */
import { createRequire } from 'node:module';

function hasGenerator() {
  try {
    createRequire(import.meta.url).resolve('protobufjs-cli/package.json');
    return true;
  } catch {
    return false;
  }
}

if (hasGenerator()) await import('./generate-leyline.mjs');
else console.log('prepare: protobufjs-cli is not installed (no development dependencies): nothing generated');
