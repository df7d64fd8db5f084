// The second step, after the code.
using '../../../infra/events.bicep'

param functionAppName = 'func-everything0'
param systemTopicId = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/contact-centre/providers/Microsoft.EventGrid/systemTopics/acs-events'
param customTopicName = 'evgt-everything0'
param stateStorageName = 'ststateeverything0'
