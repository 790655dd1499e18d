/**
 * An ipvsadm file as a plan: shown first, then applied. Unlike `ipvsadm -C; ipvsadm -R` it
 * changes what differs and nothing else, so that connections and counters live on, and
 * again it does nothing.
 *
 *     node dist/examples/restore.js [--dry-run] [--prune] [--force] [FILE]   # stdin without one
 *
 *     --dry-run   shows the plan alone
 *     --prune     removes what the file does not have: other services, and real servers of its own
 *     --force     lets it remove more than half of the real servers that are there
 *
 * In the lab, with a service that is there otherwise; what it printed:
 *
 *     npm run lab -- bash -c 'ipvsadm -A -t 10.0.0.1:80 -s rr
 *       ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.1 -m
 *       ipvsadm -A -t 10.0.0.9:80
 *       printf "%s\n" "-A -t 10.0.0.1:80 -s wlc" "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1" \
 *         "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 2" | node dist/examples/restore.js --prune'
 *
 *     ~ ipvsadm -E -t 10.0.0.1:80 -s wlc
 *     + ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 2
 *     - ipvsadm -D -t 10.0.0.9:80
 *     1 to add, 1 to change, 1 to remove
 *     3 of 3 done
 */

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Director, parseRules, type Plan } from 'ipvs-nl'

/** What is asked for; exits where it is no question. */
function asked(): { file: string | undefined; dryRun: boolean; prune: boolean; force: boolean } {
  const flag = { type: 'boolean', default: false } as const
  try {
    const { values, positionals: [file, ...more] } = parseArgs({
      options: { 'dry-run': flag, prune: flag, force: flag }, allowPositionals: true,
    })
    if (more.length > 0) throw new Error('one file at a time')
    return { file, dryRun: values['dry-run'], prune: values.prune, force: values.force }
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: restore [--dry-run] [--prune] [--force] [FILE]`)
    process.exit(2)
  }
}

function show(plan: Plan): void {
  const { add, change, remove } = plan.counts
  console.log(plan.empty ? 'nothing to do' : `${plan}\n${add} to add, ${change} to change, ${remove} to remove`)
}

async function restore(): Promise<void> {
  const { file, dryRun, prune, force } = asked()
  const specs = parseRules(readFileSync(file ?? 0, 'utf8'))
  await using director = await Director.open()
  const plan = await director.plan(specs, { prune, force, ...prune && { owner: () => true } })
  show(plan)
  if (dryRun || plan.empty) return
  await plan.apply({ progress: ({ done, total }) => { console.log(`${done} of ${total} done`) } })
}

await restore().catch((error: unknown) => {
  console.error((error as Error).message)
  process.exitCode = 1
})
