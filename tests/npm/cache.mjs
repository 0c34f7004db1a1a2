// GitHub's own client against the server of the test: it restores the entry of the first argument, and saves what is in the folder
// then under the key of the second. The last line says what it found, as JSON.
import { restoreCache, saveCache } from '@actions/cache'

const [ours, theirs] = process.argv.slice(2)
process.chdir(process.env.GITHUB_WORKSPACE)
const paths = ['.example-validator-cache']
const found = await restoreCache(paths, ours, ['ev-image-v2-'])
const saved = await saveCache(paths, theirs)
console.log(JSON.stringify({ found, saved }))
