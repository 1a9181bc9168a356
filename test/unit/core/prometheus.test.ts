import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import { prometheusName, prometheusText } from '../../../src/core/prometheus.ts';

const test = suite('prometheusText');

test('[R-E10] names are those of telemetry with underscores, values are the snapshot', async () => {
  const metrics = new Metrics();
  metrics.increment('weatherlight.emergency.detections_total', 3);
  metrics.increment('pipeline.error.event_dropped.error_total', 0);
  metrics.setGauge('weatherlight.uptime_s', 1.5);
  const { contentType, text } = await prometheusText(metrics);
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  assert.match(text, /^# TYPE weatherlight_emergency_detections_total counter$/m);
  assert.match(text, /^weatherlight_emergency_detections_total 3$/m);
  assert.match(text, /^pipeline_error_event_dropped_error_total 0$/m);
  assert.match(text, /^# TYPE weatherlight_uptime_s gauge$/m);
  assert.match(text, /^weatherlight_uptime_s 1\.5$/m);
});

test('[R-E10] a name that Prometheus would refuse becomes one that it takes', () => {
  assert.is(prometheusName('oona.depth.esper-a/b'), 'oona_depth_esper_a_b');
  assert.is(prometheusName('9.lives'), '_9_lives');
});

test('[R-E10] two names that become one are refused, not added up', async () => {
  const metrics = new Metrics();
  metrics.increment('a.b');
  metrics.increment('a_b');
  await prometheusText(metrics).then(
    () => assert.unreachable('should have rejected'),
    (error: Error) => assert.match(error.message, /a_b/),
  );
});

test.run();
