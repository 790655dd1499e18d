/** How long to wait: longer on a slow machine (LAB_SLOW, set by test/lab/machine/qemu.sh). */

/** How many times slower than usual this machine is. */
export const SLOW = Number(process.env.LAB_SLOW ?? 1)

/** A time limit on this machine, of so many milliseconds on a usual one. */
export const patience = (milliseconds: number): number => milliseconds * SLOW
