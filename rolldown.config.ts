/**
 * The package's entry points and the tests' programs as bundles: Node opens a few files in place
 * of a hundred. `tsc` makes the types, and the single files that tests import.
 */

import { defineConfig, type InputOption, type OutputOptions, type RolldownOptions } from 'rolldown'

const bundle = (input: InputOption, output: OutputOptions = {}): RolldownOptions => ({
  input,
  platform: 'node',
  external: /^(node:|netlink\b|bitwise\b|debug$|ip-address$|ipvs-nl\b)/,
  transform: { target: 'es2022' },
  output: { dir: 'dist', sourcemap: true, ...output },
})

export default defineConfig([
  bundle(
    { 'index': 'lib/index.ts', 'generic-netlink': 'generic-netlink/index.ts', 'ipvsadm': 'lib/ipvs/rules/order.ts' },
    { chunkFileNames: '[name].js', codeSplitting: { groups: [{ name: 'wire', test: /generic-netlink/ }] } },
  ),
  ...['agent', 'applier'].map(name => bundle({ [`test/support/${name}`]: `test/support/${name}.ts` })),
])
