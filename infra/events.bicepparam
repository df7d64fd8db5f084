// The outputs of the first step, which azd keeps in its environment.
using 'events.bicep'

param functionAppName = readEnvironmentVariable('FUNCTION_APP_NAME', '')
param systemTopicId = readEnvironmentVariable('SYSTEM_TOPIC_ID', '')
param customTopicName = readEnvironmentVariable('CUSTOM_TOPIC_NAME', '')
param stateStorageName = readEnvironmentVariable('STATE_STORAGE_NAME', '')
param deadLetterContainer = readEnvironmentVariable('DEAD_LETTER_CONTAINER', 'dead-letters')
