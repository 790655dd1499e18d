/**
 * ipvsadm's rules, the text of `ipvsadm -S` and `-R`: to specs, and from services.
 *
 * @module
 */

export { formatRules, realServerArguments, serviceArguments, serviceKeyArguments } from './rules-format.js'
export { parseRules, RulesError } from './rules-parse.js'
