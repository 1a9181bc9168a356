import { consumerDrills } from './consumers.ts';
import type { Drill } from './drill.ts';
import { emergencyDrills } from './emergencies.ts';
import { killDrills } from './kills.ts';
import { outageDrills } from './outages.ts';
import { rotationDrills } from './rotation.ts';
import { topologyDrills } from './topologies.ts';

/** In the order in which `--all` runs them. */
export const DRILLS: readonly Drill[] = Object.freeze([
  ...killDrills,
  ...outageDrills,
  ...consumerDrills,
  ...rotationDrills,
  ...topologyDrills,
  ...emergencyDrills,
]);
