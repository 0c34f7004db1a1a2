// GitHub's own client against the server of the test: it fetches the artifact `ours` into the folder of the first argument, and
// sends the file of the second as `theirs`. The last line says what it found, as JSON.
import { DefaultArtifactClient } from '@actions/artifact'
import path from 'node:path'

const [folder, file] = process.argv.slice(2)
const client = new DefaultArtifactClient()
const { artifact: ours } = await client.getArtifact('ours')
const { digestMismatch } = await client.downloadArtifact(ours.id, { path: folder, expectedHash: ours.digest })
const theirs = await client.uploadArtifact('theirs', [file], path.dirname(file), { retentionDays: 1 })
console.log(JSON.stringify({ ours, theirs, digestMismatch }))
