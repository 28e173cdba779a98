import { defineConfig } from 'vitest/config';

// Real servers and a real browser on few cores: one file after the other.
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 30_000 } }, // what is waited for comes when the machine has time for it
    reporters: ['verbose'],
  },
});
