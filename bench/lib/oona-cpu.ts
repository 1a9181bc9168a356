import type { Redis } from 'ioredis';

/** CPU time a message, microseconds: what a time by the clock hides when others use the machine. */
export interface CpuCost {
  /** Of this process. */
  readonly clientUs: number;
  /** Of redis-server. */
  readonly serverUs: number;
}

/** CPU time that redis-server has used, microseconds. */
export async function serverCpuUs(control: Redis): Promise<number> {
  const info = await control.info('cpu');
  const seconds = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return (seconds('used_cpu_sys') + seconds('used_cpu_user')) * 1e6;
}

/** What `run` costs, divided by `count`. */
export async function cpuCost(control: Redis, count: number, run: () => Promise<unknown>): Promise<CpuCost> {
  const serverBefore = await serverCpuUs(control);
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return {
    clientUs: (user + system) / count,
    serverUs: ((await serverCpuUs(control)) - serverBefore) / count,
  };
}
