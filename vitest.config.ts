import { defineConfig } from 'vitest/config'

// `forks`: what ends its process ends no other test.
export default defineConfig({
  test: {
    pool: 'forks',
    // Each guest would transform the same files again.
    experimental: { fsModuleCache: true },
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 } },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true, only: true, include: ['test/types/**/*.test-d.ts'], tsconfig: './tsconfig.json',
          },
        },
      },
      // test/kernel/run starts each file in a guest of its own.
      // The limits are for what hangs: machines are busy.
      {
        extends: true,
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          fileParallelism: false,
          isolate: false, // a process for each file takes a second longer
          testTimeout: 400_000,
          hookTimeout: 400_000,
        },
      },
      // test/races/run runs both: what the machine of LAB=qemu is like from outside,
      // and what several processors do to each other inside.
      {
        extends: true,
        test: {
          name: 'qemu', include: ['test/qemu/**/*.test.ts'], fileParallelism: false, testTimeout: 400_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'races',
          include: ['test/races/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
})
