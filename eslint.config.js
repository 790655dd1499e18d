// One tool for lint and format: the wire tables are aligned by hand, and formatters that
// reprint whole files cannot leave them so.
import stylistic from '@stylistic/eslint-plugin'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const ONLY_SOCKET = [{
  regex: '^netlink(/|$)', message: 'Only generic-netlink/socket.ts imports npm netlink: use openSocket.',
}]
const ONLY_LOG = [{ regex: '^debug(/|$)', message: 'Only generic-netlink/log.ts imports debug: use logger.' }]
const ONLY_CORE = [{
  regex: 'generic-netlink/(?!c(ore|heck)\\.js$|families/)',
  message: 'lib/ imports generic-netlink/core.js, check.js and families, and no other file of that folder.',
}]

/**
 * Forbids imports in files. A later rule for the same file replaces an earlier one.
 *
 * @type {(files: string[], patterns: { regex: string, message: string }[])
 *   => import('eslint').Linter.Config}
 */
const doors = (files, patterns) => ({ files, rules: { 'no-restricted-imports': ['error', { patterns }] } })

const LONG_LINES = { ignoreUrls: true, ignoreRegExpLiterals: true }

export default defineConfig(
  globalIgnores(['dist/', 'docs/api/', 'node_modules/']),
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js', 'rolldown.config.ts', 'vitest.config.ts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
  },
  stylistic.configs.customize({ indent: 2, quotes: 'single', semi: false, braceStyle: '1tbs', arrowParens: false }),
  {
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', {
        allowNumber: true, allowBoolean: true, allow: [{ from: 'file', name: 'Plan' }],
      }],
      // noUncheckedIndexedAccess makes them the way to say "this index is ours".
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', {
        ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true,
      }],
      '@typescript-eslint/prefer-literal-enum-member': 'off',
      '@typescript-eslint/no-unused-vars': ['error', {
        argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true,
      }],
      // An interface gives an inferred type its name in hovers.
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
      '@stylistic/arrow-parens': ['error', 'as-needed'],
      '@stylistic/member-delimiter-style': ['error', {
        multiline: { delimiter: 'none' }, singleline: { delimiter: 'semi', requireLast: false },
      }],
      '@stylistic/max-len': ['error', { code: 120, comments: 100, ...LONG_LINES }],
      '@stylistic/key-spacing': ['error', { mode: 'minimum' }],
      '@stylistic/no-multi-spaces': ['error', {
        ignoreEOLComments: true, exceptions: { Property: true, ArrayExpression: true, VariableDeclarator: true },
      }],
      '@stylistic/max-statements-per-line': 'off',
      '@stylistic/multiline-ternary': 'off',
      '@stylistic/operator-linebreak': 'off',
      '@stylistic/quote-props': 'off',
      '@stylistic/generator-star-spacing': ['error', 'after'],
      '@stylistic/yield-star-spacing': ['error', 'after'],
    },
  },
  // The doors between the parts.
  doors(['**/*.ts'], [...ONLY_LOG, ...ONLY_SOCKET]),
  doors(['lib/**'], [...ONLY_LOG, ...ONLY_SOCKET, ...ONLY_CORE]),
  doors(['generic-netlink/socket.ts'], ONLY_LOG),
  doors(['generic-netlink/log.ts', 'test/**'], []),
  // Tables of cases are read by column.
  { files: ['test/**'], rules: { '@stylistic/max-len': ['error', { code: 200, ...LONG_LINES, ignoreStrings: true }] } },
)
